"""The resources of the REST API under /api/v1, a router each."""
