"""Results as JSON values, tables and pictures."""
