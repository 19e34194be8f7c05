"""The page of results: JSON files of measurements in, tables and plots out."""
