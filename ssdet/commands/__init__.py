"""The subcommands of `ssdet`, one module each: arguments, and what they do."""
