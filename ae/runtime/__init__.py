"""What all rooms may use: devices and processes, progress, interrupts, files written whole, command lines."""
