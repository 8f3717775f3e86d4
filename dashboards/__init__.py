"""Pages in the browser: one module a page, one application for all of them.

The pages reach the service through its public client alone, so that they work against a remote
service exactly as against a local one.
"""
