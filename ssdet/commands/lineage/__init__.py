"""Where results come from: what files record, whether it still holds, what differs."""
