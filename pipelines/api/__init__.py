"""dynstream for other programs: what `import dynstream` offers."""
