"""The whole slow chain as SBML, from the one place where the equations live."""
