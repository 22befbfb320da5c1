"""Train one network on several corpora, or a grid of networks, and test it on each.

    python train.py hparams/multicorpus.yaml --data_folder=FOLDER
    python train.py hparams/grid.yaml --data_folder=FOLDER --grid

da Silva et al., "Interaffection of Multiple Datasets", section 4.
"""

from sed.training.runs import main

if __name__ == "__main__":
    main()
