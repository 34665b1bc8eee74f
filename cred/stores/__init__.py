"""Identity stores. Import the module of the one you want: `cred.stores.memory`, `.sqlite` or `.postgres`."""
