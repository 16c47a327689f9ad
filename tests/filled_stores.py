"""Stores with given values in them."""


def fill(store, pixels):
    """Write all chunks of a store, finish it, and return it."""
    for index in store.missing_chunks():
        store.write(index, pixels[store.box(index)])
    store.finish()
    return store
