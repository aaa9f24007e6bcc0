"""A process of its own that compiles a CNF by PySDD, so that time and memory have an end.

Run as a script: CNF, VTREE in, VTREE out, SDD out, whether to look for a better vtree, bytes of memory. It imports
nothing of Danaus.
"""

import sys


def main(cnf: str, vtree_in: str, vtree_out: str, sdd_out: str, minimise: str, memory: str) -> None:
    """Reads a CNF and a vtree, and writes the SDD and the vtree that it came to."""
    try:
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (int(memory), int(memory)))
    except (ImportError, ValueError, OSError):
        pass  # where memory has no limit, time has
    from pysdd.sdd import Fnf, SddManager, Vtree

    vtree = Vtree.from_file(vtree_in.encode())
    manager = SddManager.from_vtree(vtree)
    if minimise == "1":
        manager.auto_gc_and_minimize_on()
    root = manager.fnf_to_sdd(Fnf.from_cnf_file(cnf.encode()))
    manager.vtree().save(vtree_out.encode())
    root.save(sdd_out.encode())


if __name__ == "__main__":
    main(*sys.argv[1:])
