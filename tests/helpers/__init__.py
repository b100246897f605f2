"""What several tests share: servers, results made of numbers, the program as a user starts it."""
