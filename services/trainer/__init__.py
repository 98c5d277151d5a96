"""Accuracy of candidates: trained in PyTorch, inline or on a Ray cluster."""
