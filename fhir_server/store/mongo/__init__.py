"""The store's contract on MongoDB: a collection per resource type, the past apart, one transaction per write."""
