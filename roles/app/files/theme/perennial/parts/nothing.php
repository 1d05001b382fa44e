<?php
/**
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Shown when a list has no posts.
 */

defined( 'ABSPATH' ) || exit;
?>
<div class="entry">
	<?php if ( is_search() ) : ?>
		<p><?php esc_html_e( 'Nothing fits these words. Other words may help.', 'perennial' ); ?></p>
	<?php else : ?>
		<p><?php esc_html_e( 'There is nothing here yet.', 'perennial' ); ?></p>
	<?php endif; ?>
</div>
