"""Volume augmentations of whole batches on their device, and their soft labels."""
