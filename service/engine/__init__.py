"""Running models: the asyncio shell around what `service.core` decides."""
