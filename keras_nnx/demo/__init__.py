"""The demonstration: real data in, a trained model, proven artifacts and a report out."""
