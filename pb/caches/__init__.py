"""Caches: followed at their owner, kept as replicas at their holder, told of changes, resumed."""
