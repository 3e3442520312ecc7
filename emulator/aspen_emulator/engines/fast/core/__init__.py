"""The compiled core: see ``kernels.py``. Stored machine code is good as long as no module of this folder changes."""
