"""From a folder of faces to training batches: open the faceset, deal the faces out, warp and color them, stack them."""
