"""Train and test TIM-Net in the protocols of its paper.

    python train.py hparams/emodb.yaml --data_folder=FOLDER

Run it again to go on after an interruption. Ye et al. (2023), sections 3.1 and 3.3.
"""

from sed.training.runs import main

if __name__ == "__main__":
    main()
