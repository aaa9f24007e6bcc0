"""From a circuit to an answer: the driver, properties with their witnesses, operators, lowering and Program passes."""
