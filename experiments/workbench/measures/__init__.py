"""What experiments make of networks: figures per example, searches under a budget, maps."""
