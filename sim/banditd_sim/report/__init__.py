"""Tables first; plots draw only what tables hold; one page for whoever decides."""
