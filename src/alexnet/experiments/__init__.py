"""What can be run to see the paper's claims for oneself, one file each. The core never imports this."""
