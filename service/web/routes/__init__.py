"""Routes of the application."""
