"""Platform-specific parts; today the bridge to asyncio."""
