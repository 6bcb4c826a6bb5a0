"""Letters to clients: templates, threads, unsubscribing, series, and the server that takes them."""
