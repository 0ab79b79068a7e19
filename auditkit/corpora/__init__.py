"""Names → examples: files and data sets become typed rows, or one clear error that names the file and the row."""
