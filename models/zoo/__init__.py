"""The zoo of published weights: list, fetch, check and convert them."""
