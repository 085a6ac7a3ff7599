"""What `make run` starts besides Django: a Redis, the programs of the portal, and the demonstration account.

Nothing here is for production, where a service manager, PostgreSQL and a Redis server take its place.
"""
