"""What people see in a browser: one module a screen, thin over the stages."""
