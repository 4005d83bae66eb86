"""What people see while commands run, and after."""
