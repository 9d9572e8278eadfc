"""The sandbox's image: a Python without shell or tools, the libraries, the product's packages."""
