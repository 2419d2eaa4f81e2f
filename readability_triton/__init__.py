"""The one importable package: each entry here links to the folder of that name in the checkout (see CONTRIBUTING)."""
