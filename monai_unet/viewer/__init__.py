"""The napari plugin: predict what is seen and then the whole, train from what is painted, look where it is unsure.

What matters works on arrays and files and knows nothing of Qt: `images`, `predicting`, `painted`, `prepare`,
`training`, `uncertain`. The widgets only ask, show and start threads. docs/napari.md is the page for users.
"""
