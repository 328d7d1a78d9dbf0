"""The explorer in the browser and its REST API."""
