"""What commands read: the columns of tables, corpora, pictures and models."""
