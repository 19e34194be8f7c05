"""Tables and plots of measurements, as Markdown and SVG."""
