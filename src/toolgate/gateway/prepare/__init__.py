"""Steps that may rewrite a request, up to the seal; after it nothing may."""
