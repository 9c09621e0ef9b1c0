"""What columns and prompts are usually called."""

IDS = ("id", "_id", "doc_id", "docid", "name")
QUERY_IDS = ("query_id", "query-id", "qid", "id", "_id")
QUERIES = ("query", "anchor", "question", "sentence1", "text1", "premise")
DOCUMENTS = ("document", "positive", "answer", "passage", "sentence2", "text2", "hypothesis")
NEGATIVES = ("negative", "negatives")
SCORES = ("score", "similarity", "label")
TEXTS = ("text", "sentence", "content", *QUERIES)
CLASSES = ("label", "class", "category", "intent", "topic")
# What sentence-transformers' encode_query and encode_document take where no prompt is named.
QUERY_PROMPTS, DOCUMENT_PROMPTS = ("query",), ("document", "passage", "corpus")
