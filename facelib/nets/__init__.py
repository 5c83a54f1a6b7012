"""Ready networks: they find faces and their landmarks; here are their weights, how to run them, what they answer."""
