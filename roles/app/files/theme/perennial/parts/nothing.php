<?php
/**
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Shown when a list has no posts.
 */

defined( 'ABSPATH' ) || exit;
?>
<div class="entry">
	<p><?php echo is_search() ? esc_html__( 'Nothing fits these words. Other words may help.', 'perennial' ) : esc_html__( 'There is nothing here yet.', 'perennial' ); ?></p>
</div>
