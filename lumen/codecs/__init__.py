"""Picture files: one module a format, and what each can hold."""
