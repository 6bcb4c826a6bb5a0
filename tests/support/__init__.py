"""What tests of several folders share: stand-ins, samples, fakes, a running bridge."""
