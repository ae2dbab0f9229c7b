"""What a simulated validator runs over: a log, disks, clocks and clients in virtual time, and faults in them."""
