"""Reports: figures from the store, as a page and as files."""
