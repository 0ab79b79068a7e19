"""Names → loaded models behind one small protocol; fingerprints, devices and precisions."""
