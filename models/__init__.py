"""Networks, their weights and their formats: tensors in, tensors out."""
