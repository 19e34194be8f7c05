"""The engine: many streams on one device, with batching, deadlines, a degradation policy and admission control."""
