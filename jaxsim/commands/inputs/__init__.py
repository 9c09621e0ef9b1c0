"""What commands read: their options, the columns of tables, corpora, pictures and models."""
