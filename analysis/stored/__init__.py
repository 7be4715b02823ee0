"""What a campaign folder holds, read: documents and tables as typed values, cells and factors by name."""
